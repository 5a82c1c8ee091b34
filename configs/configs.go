// Package configs holds the sample configurations, one file per host.
package configs

import "embed"

// Files are the samples by file name.
//
//go:embed *.yaml
var Files embed.FS
