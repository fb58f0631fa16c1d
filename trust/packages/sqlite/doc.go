// Package sqlite reads rows of SQLite databases by row id and by index, as far
// as the database of rpm needs it: the file format of
// https://www.sqlite.org/fileformat2.html, sections 1, 2 and 4.
//
// It writes nothing, takes no lock, knows no SQL, and reads text as UTF-8. A
// database library would do all that, and by it would change files beside the
// database of another program.
package sqlite
