// Package owner gives plugins a folder that administrators alone own, whatever
// lies above it. It is apart from package platform because a plugin links nothing
// that it does not use.
package owner

import "errors"

// ErrFolder means that what is written there would lie where others can put links.
var ErrFolder = errors.New("others than administrators can write to the folder or to one above it")
