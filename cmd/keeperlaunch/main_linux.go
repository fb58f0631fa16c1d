package main

import "kpm/platform/linux/held"

// The service is at descriptor 3.
func main() { held.Main(3) }
