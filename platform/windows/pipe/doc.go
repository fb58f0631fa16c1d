// Package pipe is how local programs reach the service on Windows: named pipes
// whose names nobody can guess, each written into a file of the agent's run
// folder, where a socket lies on other systems.
//
// It moves bytes, and lets whoever connects be sure that administrators listen.
// Who has connected is package windows's to find out.
package pipe
