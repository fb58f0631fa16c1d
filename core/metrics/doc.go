// Package metrics counts what happens and writes it as Prometheus reads it: the
// text exposition format 0.0.4.
//
// It decides nothing about what is counted. Labels come from small fixed sets in
// the code that counts: neither a user's name nor a path is one, so that whoever
// reads metrics learns nothing about people, and nobody can make them grow.
package metrics
