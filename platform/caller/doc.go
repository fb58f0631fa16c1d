// Package caller gives keepersudo the ports of core/port/caller for the
// operating system it was built for. It is apart from package platform because
// keepersudo links nothing that it does not use.
package caller
