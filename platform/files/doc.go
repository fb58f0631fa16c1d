// Package files gives a plugin the files of a folder that administrators alone
// can change, on the operating system it was built for. It is apart from package
// platform because a plugin links nothing that it does not use.
package files
