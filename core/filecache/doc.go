// Package filecache remembers what was found out about files, by identity and
// never by path. It is only for files that administrators alone can change
// (decision 26): of any other file an identity proves nothing, since a write
// through a mapping moves the change time late, and a file system that belongs
// to a user says whatever that user likes. The package cannot check that:
// whoever calls Put has done so.
package filecache
