package policy

import (
	"time"

	"kpm/core"
)

// engine is the one that the agent has.
var engine = New(Kinds())

// linux is a merged-usr machine called "web1" in Berlin.
func linux() Environment {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return Environment{
		Variables:  Variables("linux", "/opt/KeeperPrivilegeManager"),
		Links:      map[string]string{"/bin": "/usr/bin", "/sbin": "/usr/sbin"},
		SecurePath: UnixSecurePath(),
		Zone:       zone,
		Group: func(name string) (string, bool) {
			id, ok := map[string]string{"wheel": "10", "backup": "34"}[name]
			return id, ok
		},
		Collections: map[string]Collection{
			"uid-of-admins":   {OfUsers, []string{"alice", "#1007"}},
			"uid-of-wheel":    {OfGroups, []string{"wheel", "#4000"}},
			"uid-of-web":      {OfMachines, []string{"web1", "WEB2"}},
			"uid-of-editors":  {OfApplications, []string{"/usr/bin/vim.basic", "nano"}},
			"uid-of-mistakes": {OfUsers, []string{"%nosuchgroup"}},
		},
	}
}

// noon on a Wednesday, in Berlin.
var noon = time.Date(2026, 11, 18, 11, 0, 0, 0, time.UTC)

// ask is alice on web1 asking at noon.
func ask(path, requested string, argv ...string) Question {
	return Question{
		Kind: TypePrivilegeElevation, User: core.UserID("1000"), UserName: "alice", Groups: []string{"1000", "10"},
		Machine: "web1", Path: path, Requested: requested, Arguments: argv, Time: noon,
	}
}
