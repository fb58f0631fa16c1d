// Package platform gives the service the ports of core for the operating
// system it was built for.
//
// It chooses and opens; what the ports do is in linux, windows and darwin.
package platform
