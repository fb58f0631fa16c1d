// Package kernel boots a kernel in a virtual machine without a distribution
// around it, and holds what we say of files against what that kernel does:
// IMA and EVM enforced, fs-verity, and a TPM that looks like one of hardware.
//
// The machine has one process, guest, which does what a Plan says and tells
// what came of it. What needs services, accounts or a shell is told in package
// installed, except what needs a clock to set: for that the disk holds a Debian.
package kernel
