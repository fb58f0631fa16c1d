package view

import "time"

// Setting is one effective setting of a plugin (GET
// /api/PluginSettings/{plugin}?explain=true).
type Setting struct {
	Value string `json:"value"`
	// Source is "default", "file", "stored" or "service": what gives the value.
	Source string `json:"source"`
	// File is the file that gives it; By and At say who has stored it, and when.
	File string    `json:"file,omitempty"`
	By   string    `json:"by,omitempty"`
	At   time.Time `json:"at,omitzero"`
	// Secret values are shown to their plugin and to administrators alone: for
	// others Value is empty.
	Secret bool `json:"secret,omitempty"`
}

// SettingPut answers whoever has put a setting.
type SettingPut struct {
	Plugin  string `json:"plugin"`
	Setting string `json:"setting"`
	Value   string `json:"value,omitempty"` // not of a secret
	Source  string `json:"source"`
}

// SettingsReverted answers whoever has reverted a plugin's settings: the names of
// what was stored.
type SettingsReverted struct {
	Plugin   string   `json:"plugin"`
	Reverted []string `json:"reverted"`
}

// AllReverted answers whoever has reverted the settings of all plugins.
type AllReverted struct {
	Reverted map[string][]string `json:"reverted"` // by plugin
}

// ApplicationSettingsPut answers whoever has changed application settings: keys
// as docs/settings.md has them.
type ApplicationSettingsPut struct {
	Changed []string `json:"changed"` // in force now
	// RestartRequired are in the file and take effect when the service starts.
	RestartRequired []string `json:"restartRequired"`
}
