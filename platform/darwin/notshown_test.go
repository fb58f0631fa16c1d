//go:build unix

package darwin

// notByHandle is why one case of the suite is another here.
const notByHandle = "macOS executes by path: what was exchanged after it was approved is refused, and not run from a handle; TestWhatWasExchangedDoesNotRun shows that"
