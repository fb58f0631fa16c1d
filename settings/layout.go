package settings

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"kpm/core"
)

// DefaultRoot is where the agent is installed on this system when nothing says
// otherwise.
func DefaultRoot() string { return core.PlatformOf(runtime.GOOS).DefaultRoot() }

// Layout is an agent root: every path of it has one method (decisions 2 and 5).
type Layout struct{ root, plugins string }

// At returns the layout of root, an absolute path, with plugins in the folder
// pluginPath below it ("Settings:PluginPath"; empty means "Plugins").
func At(root, pluginPath string) Layout {
	if pluginPath == "" {
		pluginPath = "Plugins"
	}
	root = filepath.Clean(root)
	return Layout{root: root, plugins: filepath.Join(root, pluginPath)}
}

func (l Layout) in(parts ...string) string {
	return filepath.Join(append([]string{l.root}, parts...)...)
}

// Root is the agent root itself.
func (l Layout) Root() string { return l.root }

// AppSettings is the service's own settings file.
func (l Layout) AppSettings() string { return l.in("appsettings.json") }

// Helper is the program that held children start as.
func (l Layout) Helper() string {
	return l.in("keeperlaunch" + core.PlatformOf(runtime.GOOS).ProgramSuffix())
}

// Manager is the service's own program.
func (l Layout) Manager() string {
	return l.in("KeeperPrivilegeManager" + core.PlatformOf(runtime.GOOS).ProgramSuffix())
}

// Reader is the program that reads signatures without any privilege.
func (l Layout) Reader() string {
	return l.in("keeperreader" + core.PlatformOf(runtime.GOOS).ProgramSuffix())
}

// Plugins holds plugin files and, in bin, their programs.
func (l Layout) Plugins() string { return l.plugins }

// Jobs holds job files.
func (l Layout) Jobs() string { return l.in("Jobs") }

// JobBin is where the program of a task's command is looked for first.
func (l Layout) JobBin(command, suffix string) string {
	return l.in("Jobs", "bin", command, command+suffix)
}

// Policies holds local policies, SyncedPolicies those of a backend.
func (l Layout) Policies() string       { return l.in("Policies") }
func (l Layout) SyncedPolicies() string { return l.in("Policies", "synced") }

// Run holds what local programs need to find the service; everyone may read it.
func (l Layout) Run() string        { return l.in("run") }
func (l Layout) Ports() string      { return l.in("run", "ports.json") }
func (l Layout) CA() string         { return l.in("run", "ca.pem") }
func (l Layout) Door() string       { return l.in("run", "door.sock") }
func (l Layout) MQTTSocket() string { return l.in("run", "mqtt.sock") }
func (l Layout) APISocket() string  { return l.in("run", "api.sock") }

// Exec holds the launcher's private copies of programs that are not Protected.
func (l Layout) Exec() string { return l.in("run", "exec") }

// State and Audit are for the service account only.
func (l Layout) State() string       { return l.in("State") }
func (l Layout) JournalHead() string { return l.in("State", "journal.head") }
func (l Layout) Format() string      { return l.in("State", "format") }
func (l Layout) Children() string    { return l.in("State", "children") }
func (l Layout) Ends() string        { return l.in("State", "ends") }
func (l Layout) Lock() string        { return l.in("State", "service.lock") }
func (l Layout) JobHistory() string  { return l.in("State", "jobs.db") }
func (l Layout) Factors() string     { return l.in("State", "factors.db") }
func (l Layout) Tries() string       { return l.in("State", "tries.json") }
func (l Layout) Identity() string    { return l.in("State", "identity") }
func (l Layout) Grants() string      { return l.in("State", "grants.json") }
func (l Layout) FileAccess() string  { return l.in("State", "fileaccess.json") }
func (l Layout) Transient() string   { return l.in("State", "accounts.json") }
func (l Layout) Rights() string      { return l.in("State", "rights.json") }
func (l Layout) Audit() string       { return l.in("Audit") }

// Aside holds files that Last Known Good has taken away or replaced.
func (l Layout) Aside() string { return l.in("State", "aside") }

// Approvals says what is to be approved when the service starts next: on each line
// a plugin's id, a folder below the root with "/" at its end, or "*".
func (l Layout) Approvals() string { return l.in("State", "approve") }

// ApprovalKey is the key for codes of approvals, sealed under the machine key.
func (l Layout) ApprovalKey() string { return l.in("State", "approval-key.json") }

// ApprovalRecords is what approvers were asked, and what they have said.
func (l Layout) ApprovalRecords() string { return l.in("State", "approvals.db") }

// Settings is what was stored: the settings of plugins, and Last Known Good.
func (l Layout) Settings() string { return l.in("State", "settings.db") }

// Variable returns the path behind {approot}, {pluginroot} or {jobroot}.
func (l Layout) Variable(token string) (string, bool) {
	switch strings.ToLower(token) {
	case "approot":
		return l.root, true
	case "pluginroot":
		return l.plugins, true
	case "jobroot":
		return l.Jobs(), true
	}
	return "", false
}

// Environment is what every plugin and task starts with; nothing else is
// inherited. base is the platform's, with its PATH; apiBaseURL is empty while the
// HTTPS port is not held.
func (l Layout) Environment(base []string, apiBaseURL string) []string {
	return append(slices.Clone(base),
		"LANG=C.UTF-8",
		"KEEPER_API_BASE_URL="+apiBaseURL,
		"KEEPER_CA_FILE="+l.CA(),
		"KEEPER_AGENT_ROOT="+l.root,
		"KEEPER_MQTT_SOCKET="+l.MQTTSocket(),
		"KEEPER_API_SOCKET="+l.APISocket(),
	)
}
