"""All cards together send at most 20 messages and 0.3 MB in any second."""

import asyncio
import functools
import time
import types

import pytest

from ipyproc._jupyter.guard import Guard
from ipyproc._jupyter.page.budget import PATIENCE, QUESTIONS, Budget, QuestionLimit, Rank
from ipyproc._jupyter.views.output import Output

pytestmark = pytest.mark.pure


def sent_in(seconds, size, senders):
    """(time, sender) of each message, when so many senders always have something to send."""
    sent = []

    async def main():
        budget = Budget()
        started = time.monotonic()

        def sender(number):
            def send():
                sent.append((time.monotonic() - started, number))
                asyncio.get_running_loop().call_soon(budget.ask, send)
                return size

            return send

        for number in range(senders):
            budget.ask(sender(number))
        await asyncio.sleep(seconds)

    asyncio.run(main())
    return [(at, number) for at, number in sent if at < seconds]


def in_any_second(sent):
    return max(sum(1 for at, _ in sent if begin <= at < begin + 1) for begin, _ in sent)


def test_messages_are_few_and_everybody_has_a_turn():
    sent = sent_in(1.5, 100, senders=5)
    assert sent[0][0] < 0.2, "the first one goes at once"
    assert in_any_second(sent) <= 20
    turns = [sum(1 for _, number in sent if number == each) for each in range(5)]
    assert len(sent) >= 20 and max(turns) - min(turns) <= 1


def test_bytes_are_few():
    sent = sent_in(1.5, 48_000, senders=2)
    assert in_any_second(sent) * 48_000 <= 300_000
    assert len(sent) >= 5


def test_what_a_person_waits_for_goes_first_and_nothing_is_asked_twice():
    order = []

    async def main():
        budget = Budget()
        done = asyncio.Event()

        def send(name):
            def sender():
                order.append(name)
                done.set() if name == "last" else None
                return 1

            return sender

        burst = [send(f"burst {n}") for n in range(4)]
        for each in burst:
            budget.ask(each)
        tail, gone = send("last"), send("gone")
        for each in (tail, tail, gone):
            budget.ask(each)
        budget.forget(gone)
        budget.ask(send("answer"), Rank.ANSWER)
        await done.wait()

    asyncio.run(main())
    assert order == ["burst 0", "burst 1", "burst 2", "burst 3", "answer", "last"]


def order_of(asks, turns):
    """The names in the order of their turns; `asks`: (name, rank) in that order, when the first turns are spent."""
    order = []

    async def main():
        budget = Budget()
        done = asyncio.Event()

        def send(name):
            order.append(name)
            if len(order) == turns:
                done.set()
            return 1

        senders = {name: functools.partial(send, name) for name, _ in asks}
        for number in range(4):
            budget.ask(functools.partial(send, f"first {number}"))
        for name, rank in asks:
            budget.ask(senders[name], rank)
        await done.wait()

    asyncio.run(main())
    return order[4:]


def test_the_best_rank_comes_first_and_each_fourth_turn_is_that_of_who_waits_longest():
    asks = [(f"{rank.name.lower()} {number}", rank) for rank in reversed(Rank) for number in range(4)]
    assert order_of(asks, 20) == [
        *("answer 0", "answer 1", "answer 2", "rest 0"),
        *("answer 3", "seen 0", "seen 1", "rest 1"),
        *("seen 2", "seen 3", "news 0", "rest 2"),
        *("news 1", "news 2", "news 3", "rest 3"),
    ]


def test_who_asks_again_keeps_the_place_and_gets_the_better_rank():
    asks = [("a", Rank.REST), ("b", Rank.NEWS), ("c", Rank.REST), ("a", Rank.NEWS), ("b", Rank.REST)]
    assert order_of(asks, 7) == ["a", "b", "c"]


@pytest.mark.parametrize("size", [100, 500_000])
def test_a_burst_of_what_cannot_wait_holds_nobody_up_for_long(size):
    async def main():
        budget, sent = Budget(), asyncio.Event()
        for _ in range(600):
            budget.spend(size)
        budget.ask(lambda: 1)  # nobody had a turn for long, and so this one comes at once
        began = time.monotonic()
        budget.ask(lambda: sent.set() or 1)
        await sent.wait()
        return time.monotonic() - began

    assert 0.1 < asyncio.run(main()) < PATIENCE + 0.1


def test_a_burst_that_goes_on_leaves_the_others_a_part():
    async def main():
        budget, turns = Budget(), 0

        def send():
            nonlocal turns
            turns += 1
            asyncio.get_running_loop().call_soon(budget.ask, send)
            return 100

        async def burst():
            while True:
                budget.spend(100)
                await asyncio.sleep(0.01)

        bursting = asyncio.ensure_future(burst())
        budget.ask(send)
        await asyncio.sleep(5 * PATIENCE)
        bursting.cancel()
        return turns

    assert 3 <= asyncio.run(main()) <= 8


def test_many_that_have_nothing_to_send_do_not_hold_the_loop_up():
    async def main():
        budget, looked = Budget(), []

        def look(number):
            time.sleep(0.004)  # it takes a slice to know that there is nothing
            looked.append(number)
            if number == 49:
                done.set()
            return 0

        done = asyncio.Event()
        for _ in range(5):
            budget.ask(lambda: 1)  # from now on they wait
        for number in range(50):
            budget.ask(functools.partial(look, number))
        ticks = 0
        while not done.is_set():
            await asyncio.sleep(0)
            ticks += 1
        assert looked == list(range(50))
        return ticks

    assert asyncio.run(main()) >= 20


def test_nothing_to_send_costs_nothing():
    async def main():
        budget, sent = Budget(), []
        for _ in range(100):
            budget.ask(lambda: 0)
        budget.ask(lambda: sent.append(1) or 1)
        assert sent == [1]

    asyncio.run(main())


def test_a_loop_that_ends_takes_no_other_loops_turns_with_it():
    def ask_for(number, sent):
        async def main():
            budget = Budget.of(asyncio.get_running_loop())
            assert budget is Budget.of(asyncio.get_running_loop())
            for each in range(number):
                budget.ask(lambda each=each: sent.append(each) or 1)

        loop = asyncio.new_event_loop()  # asyncio.run keeps its loop once nest_asyncio2 has patched it
        loop.run_until_complete(main())
        loop.close()

    waiting, sent = [], []
    ask_for(10, waiting)
    assert len(waiting) == 4, "the loop has ended before the others had their turn"
    ask_for(1, sent)
    assert sent == [0]


def test_what_fails_to_send_is_no_error_of_who_asks_and_nobody_waits_for_ever():
    async def main():
        told, sent = [], asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        budget = Budget()
        budget.ask(lambda: 1 / 0)
        for _ in range(5):
            budget.ask(lambda: 1)
        budget.ask(lambda: 1 / 0)
        budget.ask(lambda: sent.set() or 1)
        await asyncio.wait_for(sent.wait(), 5)
        assert [type(error) for error in told] == [ZeroDivisionError] * 2

    asyncio.run(main())


def test_a_turn_without_an_answer_that_waits_sends_nothing():
    no_answers = types.SimpleNamespace(_answers=[], _tasks={}, _guard=Guard())
    assert not Output._send_rows(no_answers), "two turns may be asked for one answer"


def test_questions_beyond_so_many_a_second_do_not_pass(monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    limit = QuestionLimit()
    assert sum(limit.passes() for _ in range(1000)) == QUESTIONS
    passed = 0
    for _ in range(1000):
        now += 0.01
        passed += limit.passes()
    assert passed == 10 * QUESTIONS
    now += 3600
    assert sum(limit.passes(QUESTIONS / 2) for _ in range(10)) == 2
