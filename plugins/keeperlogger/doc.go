// Package keeperlogger is the plugin KeeperLogger: it writes what is published
// on the topic of its name to a log file that rotates, ages and has a total
// size, and, if asked to, to the system's own log and to a receiver.
//
// Whatever comes becomes one line: a log is read when things have gone wrong,
// by people and in terminals, so no message can forge a line, move a cursor or
// stop the logger. It keeps no publisher waiting, and counts what it loses. Who
// published a record is the broker's word and not its business.
package keeperlogger
