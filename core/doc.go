// Package core is the vocabulary that every package shares and
// the ports that each operating system implements.
//
// It holds data types and interfaces only. It starts nothing, opens nothing and
// decides nothing; the policy engine is core/policy, the bus messages are
// core/wire, the frames of the local door are core/door.
package core
