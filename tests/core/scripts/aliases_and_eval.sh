shopt -s expand_aliases
alias greet='echo hello'
greet
eval 'echo one; false; echo two'
