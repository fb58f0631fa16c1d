package platform

// Options says what the ports need to know about this installation.
type Options struct {
	// AgentRoot is the service's directory, absolute and without links. What
	// lies in it may be Protected below sticky directories of the
	// administrator's.
	AgentRoot string
	// Helper is the absolute path of keeperlaunch.
	Helper string
	// Reader is the absolute path of keeperreader; empty means the one in the
	// agent root.
	Reader string
	// Spare is how many held children are kept ready, 0 to 64.
	Spare int
	// Ends is the directory in which is kept how commands ended that go on when
	// the service stops; empty for none. Nobody but root may reach it.
	Ends string
	// CgroupParent is the directory of the cgroup below which launch groups
	// are made; empty means one of this service's own, where there is cgroup
	// version 2 and it may be written to. Linux only.
	CgroupParent string
}
