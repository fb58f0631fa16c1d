// Package schemas holds the JSON Schemas of what people write: plugin, job,
// policy and application settings files. They are generated from the types and
// tables that the loaders read with (make schemas), and tests beside each loader
// hold them to it.
//
// It checks nothing itself: a file is right when its loader says so.
package schemas

import "embed"

// Files are the schemas, called {kind}.schema.json.
//
//go:embed *.schema.json
var Files embed.FS
