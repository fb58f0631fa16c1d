// Package packages says what the machine's own package databases know about a
// file: dpkg's, which records MD5 digests and is signed by nobody, and rpm's,
// which keeps the signed header of every installed package.
//
// It asks no package manager, repository or network, installs nothing, and does
// not say whether a package is good or the newest: whoever was root once could
// have written all of it, except what a trusted key has signed. Databases of
// rpm are read as SQLite, its form since rpm 4.16; the older ones of Berkeley DB
// and ndb are not.
package packages
