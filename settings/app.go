package settings

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/strictjson"
)

// Limits of files in bytes.
const (
	MaxAppSettings = 1 << 20
	MaxPluginFile  = 256 << 10 // the published guide gives none; this is generous
)

// App is appsettings.json with every default filled in. Ports are 0 for "any
// free port"; ranges are those of docs/settings.md.
type App struct {
	HTTPPort, HTTPSPort int
	PluginPath          string // relative to the agent root
	RequireJobToken     bool
	LogLevel            slog.Level
	MQTTAddress         netip.Addr
	MQTTPort            int
	Monitoring          Monitoring
	Requests            Requests
	Approvals           Approvals
	Journal             Journal
	Jobs                Jobs
	MFA                 MFA
	Interception        Interception
	Rights              Rights
	Trust               Trust
	// RequireSignedAdmin asks of Admin callers a program that carries a trusted
	// signature; ClientCA, if set, a client certificate as well (decision 10).
	RequireSignedAdmin bool
	ClientCA           string
	// CertificateFile and CertificateKey are a certificate of one's own for the
	// loopback listeners, PEM; CertificateThumbprint one in the OS store.
	CertificateFile, CertificateKey, CertificateThumbprint string
	// LastKnownGood says what becomes of files that nobody has approved.
	LastKnownGood string
	// KeyStore says where the machine key lives, TPMDevice at which TPM.
	KeyStore, TPMDevice string
	// SessionPrograms, if there are any, are the only programs that the agent's
	// plugins and tasks may be in the session of a user who is no administrator.
	SessionPrograms []string
	// CodingAgents are programs that are taken for coding agents beside those that
	// are known: names, and parts of paths.
	CodingAgents []string
	// ReasonMinimum is how many characters a reason has at least, and Reasons are those
	// that people are offered.
	ReasonMinimum int
	Reasons       []string
	// Contacts are whom people ask for what policy does not allow; none are the members
	// of the groups of administrators.
	Contacts []string
	// Unknown are the keys that nothing reads, as written: a hint at a
	// misspelt one.
	Unknown []string

	given map[string]string // what the file says, by key as the table has it
}

// Monitoring says how plugins are watched, and how those that end are restarted.
type Monitoring struct {
	// Interval is the time between checks of plugins that ask for pings.
	Interval      time.Duration
	BreakerLimit  int
	BreakerWindow time.Duration
	MaxBackoff    time.Duration
	// Probe is the time between questions to a policy plugin that is asked
	// nothing else.
	Probe time.Duration
}

// Requests bounds elevation requests.
type Requests struct {
	Evaluate, Prompt, Launch time.Duration
	MaxOpen, MaxOpenPerUser  int
	// AllowUnknownUsers lets users ask who have no account on this machine.
	AllowUnknownUsers bool
	// MaxRunning and MaxRunningPerUser count commands that run as well.
	MaxRunning, MaxRunningPerUser int
}

// Approvals bounds what approvers are asked.
type Approvals struct {
	// Pending is how long one waits before it is escalated, or expires if there is
	// nobody to; Escalated how long from then on; Expiration how long in any case;
	// Usable how long it may be used once it is approved.
	Pending, Escalated, Expiration, Usable time.Duration
	MaxPerUser, Max                        int
	// Remote lets plugin KeeperAPI hand on what approvers elsewhere have decided.
	Remote bool
}

// Journal says how the audit journal is kept.
type Journal struct {
	SegmentBytes int64
	KeepSegments int
	Keep         time.Duration // 0 is as long as KeepSegments allows
	Mask         []*regexp.Regexp
	SystemLog    bool // elevations are in the system's own log as well
	// Checkpoint is the time between signatures over the journal's head.
	Checkpoint time.Duration
}

// What becomes of files that nobody has approved (LastKnownGood:Mode).
const (
	GoodOff     = "off"     // nobody looks
	GoodReport  = "report"  // they are in force, and said
	GoodRestore = "restore" // they are put back
)

// Jobs says how many jobs run, and how much of what they did is kept.
type Jobs struct {
	MaxRunning   int // beside those that act for a request
	HistoryAge   time.Duration
	HistoryBytes int64
}

// MFA says how second factors are verified.
type MFA struct {
	// Remember is for how long a right code counts for further commands of the
	// same policies at the same terminal; 0 asks each time.
	Remember time.Duration
	// LockOut is for how long five wrong codes lock a person out.
	LockOut time.Duration
	// Factors are the kinds of factors that serve; the first that knows a person is
	// theirs.
	Factors []string
}

// Interception says what is stopped before it happens.
type Interception struct {
	// Executions has programs decided about right before they run; of Mounts, if there
	// are any, only the file systems at these.
	Executions bool
	Mounts     []string
	// Elevations has people who ask the system itself for an administrator's rights told
	// what they can ask instead.
	Elevations bool
}

// Mode is what happens when a program does not have the rank that it needs.
type Mode string

// The modes.
const (
	TrustOff     Mode = "off"     // nothing is looked at
	TrustWarn    Mode = "warn"    // it starts, and the log says what is missing
	TrustEnforce Mode = "enforce" // it does not start
)

// Trust says which signatures programs need, and whose count. Modes are by
// published OS name; files are absolute, or relative to the agent root.
type Trust struct {
	Plugins, Jobs       map[core.Platform]Mode
	PluginRank, JobRank core.Rank
	Alternatives        []string // thumbprints, lower-case hex
	Roots               []string // PEM: CAs of code signers
	TimeStampRoots      []string // PEM: CAs of time-stamping authorities
	AppleRoots          []string // PEM: CAs of Mach-O signers
	FileCertificates    []string // PEM or DER: signers of IMA, EVM and fs-verity
	OpenPGPKeys         []string // armored or binary keyrings
	RevocationLists     []string // PEM or DER CRLs
	Catalogs            []string // signed catalogs that list files
}

// Levels beyond slog's own, by the names of the published settings.
const (
	LevelTrace    = slog.LevelDebug - 4
	LevelCritical = slog.LevelError + 4
)

// entry is one row of the table in docs/settings.md.
type entry struct {
	key, fallback, allowed string // fallback is JSON
	set                    func(*App, json.RawMessage) error
}

// errNotAllowed is what an entry's set answers to a value it does not take;
// the row itself says what it takes.
var errNotAllowed = errors.New("not allowed")

func entries() []entry {
	seconds := func(d func(*App) *time.Duration) func(*App, int) {
		return func(a *App, n int) { *d(a) = time.Duration(n) * time.Second }
	}
	return []entry{
		port("Settings:KestrelHttpPort", 6888, func(a *App, n int) { a.HTTPPort = n }),
		port("Settings:KestrelHttpsPort", 6889, func(a *App, n int) { a.HTTPSPort = n }),
		{"Settings:PluginPath", `"Plugins"`, "relative path", setPluginPath},
		{"Settings:RequireJobToken", "false", "true, false", func(a *App, raw json.RawMessage) error {
			return decode(raw, &a.RequireJobToken)
		}},
		{"Settings:system.logging.level", `"Warning"`, "Trace, Debug, Information, Warning, Error, Critical", setLogLevel},
		{"MqttBrokerSettings:IpAddress", `"127.0.0.1"`, "a loopback address", setLoopback},
		port("MqttBrokerSettings:Port", 8675, func(a *App, n int) { a.MQTTPort = n }),
		number("PluginMonitoring:IntervalSeconds", 10, 1, 3600, seconds(func(a *App) *time.Duration { return &a.Monitoring.Interval })),
		number("PluginMonitoring:BreakerLimit", 5, 1, 100, func(a *App, n int) { a.Monitoring.BreakerLimit = n }),
		number("PluginMonitoring:BreakerWindowSeconds", 10, 1, 3600, seconds(func(a *App) *time.Duration { return &a.Monitoring.BreakerWindow })),
		number("PluginMonitoring:MaxBackoffSeconds", 30, 1, 3600, seconds(func(a *App) *time.Duration { return &a.Monitoring.MaxBackoff })),
		number("PluginMonitoring:PolicyProbeSeconds", 300, 1, 300, seconds(func(a *App) *time.Duration { return &a.Monitoring.Probe })),
		number("Requests:EvaluateSeconds", 5, 1, 60, seconds(func(a *App) *time.Duration { return &a.Requests.Evaluate })),
		number("Requests:PromptSeconds", 120, 5, 3600, seconds(func(a *App) *time.Duration { return &a.Requests.Prompt })),
		number("Requests:LaunchSeconds", 10, 1, 60, seconds(func(a *App) *time.Duration { return &a.Requests.Launch })),
		number("Requests:MaxOpen", 256, 1, 4096, func(a *App, n int) { a.Requests.MaxOpen = n }),
		number("Requests:MaxOpenPerUser", 32, 1, 1024, func(a *App, n int) { a.Requests.MaxOpenPerUser = n }),
		{"Requests:AllowUnknownUsers", "false", "true, false", func(a *App, raw json.RawMessage) error {
			return decode(raw, &a.Requests.AllowUnknownUsers)
		}},
		{"Requests:CodingAgents", "[]", "names of programs, or parts of paths with a slash", setAgents},
		number("Requests:ReasonMinimum", 1, 1, 200, func(a *App, n int) { a.ReasonMinimum = n }),
		{"Requests:Reasons", "[]", "texts", func(a *App, raw json.RawMessage) error { return setLines(raw, &a.Reasons) }},
		{"Requests:Contacts", "[]", "names and addresses as text", func(a *App, raw json.RawMessage) error {
			return setLines(raw, &a.Contacts)
		}},
		number("Requests:MaxRunning", 4096, 1, 4096, func(a *App, n int) { a.Requests.MaxRunning = n }),
		number("Requests:MaxRunningPerUser", 1024, 1, 4096, func(a *App, n int) { a.Requests.MaxRunningPerUser = n }),
		number("Approvals:PendingMinutes", 30, 1, 4320, func(a *App, n int) { a.Approvals.Pending = time.Duration(n) * time.Minute }),
		number("Approvals:EscalatedMinutes", 240, 1, 4320, func(a *App, n int) { a.Approvals.Escalated = time.Duration(n) * time.Minute }),
		number("Approvals:approvalExpirationHours", 72, 1, 720, func(a *App, n int) { a.Approvals.Expiration = time.Duration(n) * time.Hour }),
		number("Approvals:approvedRequestExpirationHours", 24, 1, 720, func(a *App, n int) { a.Approvals.Usable = time.Duration(n) * time.Hour }),
		number("Approvals:MaxPerUser", 16, 1, 256, func(a *App, n int) { a.Approvals.MaxPerUser = n }),
		number("Approvals:Max", 512, 1, 4096, func(a *App, n int) { a.Approvals.Max = n }),
		{"Approvals:RemoteApprovers", "false", "true, false", func(a *App, raw json.RawMessage) error {
			return decode(raw, &a.Approvals.Remote)
		}},
		number("Journal:SegmentBytes", 1<<20, 64<<10, 1<<30, func(a *App, n int) { a.Journal.SegmentBytes = int64(n) }),
		number("Journal:KeepSegments", 512, 2, 100000, func(a *App, n int) { a.Journal.KeepSegments = n }),
		number("Journal:KeepDays", 0, 0, 36500, func(a *App, n int) { a.Journal.Keep = time.Duration(n) * 24 * time.Hour }),
		{"Journal:SystemLog", "true", "true, false", func(a *App, raw json.RawMessage) error {
			return decode(raw, &a.Journal.SystemLog)
		}},
		number("Jobs:MaxRunning", 256, 1, 4096, func(a *App, n int) { a.Jobs.MaxRunning = n }),
		number("Jobs:HistoryDays", 30, 1, 3650, func(a *App, n int) { a.Jobs.HistoryAge = time.Duration(n) * 24 * time.Hour }),
		number("Jobs:HistoryMegabytes", 64, 1, 4096, func(a *App, n int) { a.Jobs.HistoryBytes = int64(n) << 20 }),
		number("Journal:CheckpointMinutes", 15, 1, 1440, func(a *App, n int) { a.Journal.Checkpoint = time.Duration(n) * time.Minute }),
		number("Mfa:RememberMinutes", 5, 0, 60, func(a *App, n int) { a.MFA.Remember = time.Duration(n) * time.Minute }),
		number("Mfa:LockOutMinutes", 15, 1, 1440, func(a *App, n int) { a.MFA.LockOut = time.Duration(n) * time.Minute }),
		{"Mfa:Factors", `["totp"]`, "totp, pam", setFactors},
		{"Interception:Executions", "false", "true, false", func(a *App, raw json.RawMessage) error {
			return decode(raw, &a.Interception.Executions)
		}},
		{"Interception:Elevations", "false", "true, false", func(a *App, raw json.RawMessage) error {
			return decode(raw, &a.Interception.Elevations)
		}},
		{"Interception:Mounts", "[]", "absolute paths", func(a *App, raw json.RawMessage) error {
			return setMounts(raw, &a.Interception.Mounts)
		}},
		{"Rights:Groups", "[]", "names of groups; none are the system's own", func(a *App, raw json.RawMessage) error {
			return setNames(raw, &a.Rights.Groups)
		}},
		{"Rights:Protected", "[]", "names of users", func(a *App, raw json.RawMessage) error {
			return setNames(raw, &a.Rights.Protected)
		}},
		{"Rights:TakeLast", "false", "true, false", func(a *App, raw json.RawMessage) error {
			return decode(raw, &a.Rights.TakeLast)
		}},
		number("Rights:CheckSeconds", 60, 5, 3600, seconds(func(a *App) *time.Duration { return &a.Rights.Every })),
		{"LastKnownGood:Mode", `"report"`, "off, report, restore", func(a *App, raw json.RawMessage) error {
			return choose(raw, &a.LastKnownGood, GoodOff, GoodReport, GoodRestore)
		}},
		{"Settings:AllowedNonAdminExecutables", "[]", "names of programs, without a path", setProgramNames},
		{"Settings:RequireSignedAdmin", "false", "true, false", func(a *App, raw json.RawMessage) error {
			return decode(raw, &a.RequireSignedAdmin)
		}},
		path("Settings:ClientCertificateAuthority", func(a *App) *string { return &a.ClientCA }),
		path("Settings:CertificatePath", func(a *App) *string { return &a.CertificateFile }),
		path("Settings:CertificateKeyPath", func(a *App) *string { return &a.CertificateKey }),
		{"Settings:CertificateThumbprint", `""`, "SHA-1 or SHA-256 in hex", func(a *App, raw json.RawMessage) error {
			return setThumbprint(raw, &a.CertificateThumbprint)
		}},
		{"Settings:AlternativeSignatures", "[]", "SHA-1 or SHA-256 thumbprints in hex", setAlternatives},
		{"Settings:KeyStore", `"auto"`, "auto, tpm, software", func(a *App, raw json.RawMessage) error {
			return choose(raw, &a.KeyStore, "auto", "tpm", "software")
		}},
		{"Settings:TpmDevice", `""`, "a device or socket path", func(a *App, raw json.RawMessage) error {
			return decode(raw, &a.TPMDevice)
		}},
		{"Trust:Plugins", `{"Linux":"off","Windows":"warn","macOS":"warn"}`, "off, warn, enforce, or one for each OS", func(a *App, raw json.RawMessage) error {
			return setModes(raw, &a.Trust.Plugins)
		}},
		{"Trust:PluginRank", `"signed"`, "recorded, packaged, signed", func(a *App, raw json.RawMessage) error {
			return setRank(raw, &a.Trust.PluginRank)
		}},
		{"Trust:Jobs", `"off"`, "off, warn, enforce, or one for each OS", func(a *App, raw json.RawMessage) error {
			return setModes(raw, &a.Trust.Jobs)
		}},
		{"Trust:JobRank", `"recorded"`, "recorded, packaged, signed", func(a *App, raw json.RawMessage) error {
			return setRank(raw, &a.Trust.JobRank)
		}},
		paths("Trust:Roots", func(a *App) *[]string { return &a.Trust.Roots }),
		paths("Trust:TimeStampRoots", func(a *App) *[]string { return &a.Trust.TimeStampRoots }),
		paths("Trust:AppleRoots", func(a *App) *[]string { return &a.Trust.AppleRoots }),
		paths("Trust:FileCertificates", func(a *App) *[]string { return &a.Trust.FileCertificates }),
		paths("Trust:OpenPgpKeys", func(a *App) *[]string { return &a.Trust.OpenPGPKeys }),
		paths("Trust:RevocationLists", func(a *App) *[]string { return &a.Trust.RevocationLists }),
		paths("Trust:Catalogs", func(a *App) *[]string { return &a.Trust.Catalogs }),
		{"Journal:MaskArguments", `["(?is)^--?(password|passwd|token|secret)(=.*)?$"]`, "RE2 expressions", setMask},
	}
}

// Default is what holds without any file.
func Default() App {
	var a App
	for _, e := range entries() {
		if err := e.set(&a, json.RawMessage(e.fallback)); err != nil {
			panic("settings: default of " + e.key + ": " + err.Error()) // a test calls this
		}
	}
	return a
}

// LoadApp reads the appsettings.json at path. A missing file is Default; a
// value of the wrong type or out of range is a fault.List, or a *fault.Fault when
// the file as a whole is wrong.
func LoadApp(path string, read Reader) (App, error) {
	doc, err := ReadDocument(path, MaxAppSettings, read)
	if errors.Is(err, fs.ErrNotExist) {
		return Default(), nil
	}
	if err != nil {
		return App{}, err
	}
	return ParseApp(doc)
}

// ParseApp is LoadApp for a document in hand.
func ParseApp(doc Document) (App, error) {
	values, err := sections(doc)
	if err != nil {
		return App{}, err
	}
	a := Default()
	a.given = map[string]string{}
	var faults fault.List
	for _, e := range entries() {
		v, given := values[strictjson.Fold(e.key)]
		delete(values, strictjson.Fold(e.key))
		if !given || v.IsNull() {
			continue
		}
		if err := e.set(&a, v.Raw()); err != nil {
			expected := e.allowed
			if !errors.Is(err, errNotAllowed) {
				expected += " (" + err.Error() + ")"
			}
			faults = append(faults, doc.faultAt(v.Value, e.key, fault.Raw(string(v.Raw())), expected))
			continue
		}
		a.given[e.key] = string(v.Raw())
	}
	if faults != nil {
		return App{}, faults
	}
	for _, v := range values {
		a.Unknown = append(a.Unknown, v.name)
	}
	slices.Sort(a.Unknown)
	return a, nil
}

type value struct {
	name string // as written
	strictjson.Value
}

// sections returns every "Section:Key" of the document by its folded name.
func sections(doc Document) (map[string]value, error) {
	found := map[string]value{}
	add := func(name string, v strictjson.Value) error {
		folded := strictjson.Fold(name)
		if _, twice := found[folded]; twice {
			return doc.faultAt(v, name, "given twice", "each name once, whatever its letter case")
		}
		found[folded] = value{name, v}
		return nil
	}
	for _, section := range members(doc.root) {
		if section.Value.IsNull() {
			continue
		}
		if !section.Value.IsObject() {
			if err := add(section.Key, section.Value); err != nil {
				return nil, err
			}
			continue
		}
		for _, m := range members(section.Value) {
			if err := add(section.Key+":"+m.Key, m.Value); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// members are all of an object: a document bounds them by its size.
func members(v strictjson.Value) []strictjson.Member {
	list, _ := v.Members(math.MaxInt)
	return list
}

func decode(raw json.RawMessage, into any) error {
	if json.Unmarshal(raw, into) != nil {
		return errNotAllowed
	}
	return nil
}
