// Package kernel reads what the kernel of macOS answers: structures as bytes, at
// the offsets of Apple's public headers (xnu, bsd/sys and bsd/bsm). It makes no
// call, so that it is tested on every system; package darwin makes them.
package kernel
