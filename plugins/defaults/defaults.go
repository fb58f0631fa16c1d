// Package defaults holds the files of the bundled plugins, for agent roots
// that lack them. It runs nothing.
package defaults

import "embed"

// Files are the default Plugins/*.json.
//
//go:embed *.json
var Files embed.FS
