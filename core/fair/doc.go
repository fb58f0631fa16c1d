// Package fair keeps one person from using up what everybody needs: Rate says
// how often, Slots how much at once. Every bound is one person's first and
// everybody's second (decision 32c), and what says nothing about anybody any
// more is forgotten. It does not know who a person is, and no limit of any
// package: callers bring both.
package fair
