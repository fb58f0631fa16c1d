package main

import "kpm/platform/linux"

func protectedRoot(path string) error { return linux.Files{}.ProtectedRoot(path) }
