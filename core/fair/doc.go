// Package fair keeps one person from using up what everybody needs: Rate says
// how often, Slots how much at once, Revocable who may
// wait and say nothing, Queue who is next. Every bound is one person's first and everybody's second, with a
// part set aside for those who come first (decision 32c), and what says nothing
// about anybody any more is forgotten. It knows no limit of any package:
// callers bring them, and say who is a person.
package fair
