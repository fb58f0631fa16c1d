// Package settings knows where things lie in an agent root and reads the files
// that people write there: appsettings.json, the settings inside plugin files,
// and, for the packages above, any JSON document with faults that its author can
// fix. docs/settings.md is its specification, and the tests read it.
//
// It starts nothing and decides nothing; what a plugin or job file means is
// the business of plugins and jobs.
package settings
