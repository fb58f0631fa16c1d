// Package strictjson is the one reader of JSON that somebody wrote: settings,
// plugin, job and policy files, bodies of requests, messages on the bus.
//
// The grammar is that of encoding/json. On top of it: a limit of size, UTF-8
// without exception, one value and nothing behind it, and, where Check is asked,
// a limit of depth and no object that names a key twice in any letter case.
// encoding/json keeps the last of two such keys without a word, so two readers
// of one text could obey different values.
//
// A Value knows its place, so that whoever reads it can say where something is
// wrong. It is looked into on demand: what nobody reads costs nothing, however
// deep it is. The package knows no file and no schema.
package strictjson
