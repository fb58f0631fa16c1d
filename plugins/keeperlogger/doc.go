// Package keeperlogger is the plugin KeeperLogger: it writes what is published
// on the topic of its name to a log file that rotates and ages.
//
// Whatever comes becomes one line: a log is read when things have gone wrong,
// by people and in terminals, so no message can forge a line, move a cursor or
// stop the logger. What levels are published is the publishers' choice; it
// filters nothing.
package keeperlogger
