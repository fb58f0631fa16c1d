//go:build linux

// Command keeperlaunch is started by the service ahead of need and becomes the
// programs that the service launches. It has no use of its own: without the
// service at descriptor 3 it ends at once.
package main

import "kpm/platform/linux/held"

func main() { held.Main(3) }
