// Package owner says whose a file is, for plugins that read or write files
// which administrators alone may own. It is apart from package platform because
// a plugin links nothing that it does not use.
package owner
