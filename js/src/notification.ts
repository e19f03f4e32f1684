// Tells of the end of a program outside the page, for `--notify`: by a notification of the browser and the tab's title.
import { showEnd } from './title';

/** Ask the user, once for a page of this address; why there will be no notification, or nothing. */
export async function askForNotifications(): Promise<string> {
  if (!('Notification' in globalThis)) return 'no notification: this page has none without https';
  if (Notification.permission === 'default') await Notification.requestPermission();
  return Notification.permission === 'granted' ? '' : 'no notification: the browser does not allow it';
}

/** `tag`: however many views tell of one end, it is one notification. */
export function notify(words: string, text: string, tag: string): void {
  showEnd(words);
  try {
    const notification = new Notification(words, { body: text, tag });
    notification.addEventListener('click', () => {
      window.focus();
      notification.close();
    });
  } catch {} // it is not allowed, or there is none; the card has said so
}
