// Package defaults holds the files of the bundled jobs, for agent roots that
// lack them. It runs nothing.
package defaults

import "embed"

// Files are the default Jobs/*.json.
//
//go:embed *.json
var Files embed.FS
