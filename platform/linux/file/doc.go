// Package file walks paths on Linux, says whether root alone can change what
// they lead to, and reads what nobody else can. It is apart from package linux,
// whose ports are built on it, because a plugin links nothing that it does not
// use. It changes nothing and starts nothing.
package file
