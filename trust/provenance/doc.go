// Package provenance puts together all evidence about a file:
// signatures within its bytes and beside them, attributes, catalogs, packages
// and the operating system's own answer. It remembers verdicts, and says what a
// program needs.
//
// It parses nothing that a user chose, but has it read by a Reader, and refuses
// nobody: it reports, and refusing is up to who asked.
package provenance
