package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kpm/core"
	"kpm/core/fault"
)

// readAnything is a Reader that takes every file for protected.
func readAnything(path string, limit int64) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err == nil && int64(len(data)) > limit {
		err = core.ErrTooLarge
	}
	return data, err
}

func TestDefault(t *testing.T) {
	a := Default()
	for _, tc := range []struct {
		name      string
		got, want any
	}{
		{"HTTPPort", a.HTTPPort, 6888},
		{"HTTPSPort", a.HTTPSPort, 6889},
		{"PluginPath", a.PluginPath, "Plugins"},
		{"RequireJobToken", a.RequireJobToken, false},
		{"LogLevel", a.LogLevel, slog.LevelWarn},
		{"MQTTAddress", a.MQTTAddress, netip.MustParseAddr("127.0.0.1")},
		{"MQTTPort", a.MQTTPort, 8675},
		{"Monitoring", a.Monitoring, Monitoring{10 * time.Second, 5, 10 * time.Second, 30 * time.Second, 5 * time.Minute}},
		{"Requests", a.Requests, Requests{5 * time.Second, 120 * time.Second, 10 * time.Second, 256, 32, false, 4096, 1024}},
		{"Journal.SegmentBytes", a.Journal.SegmentBytes, int64(1048576)},
		{"Journal.KeepSegments", a.Journal.KeepSegments, 512},
		{"Journal.Keep", a.Journal.Keep, time.Duration(0)},
		{"masks --Password=x", a.Journal.Mask[0].MatchString("--Password=x"), true},
		{"masks --pass-through", a.Journal.Mask[0].MatchString("--pass-through"), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, tc.got, tc.want)
		}
	}
}

func TestParseAppReadsInAnyLetterCaseAndKeepsTheRest(t *testing.T) {
	doc, err := ParseDocument("appsettings.json", []byte(`{
		"settings": {"kestrelhttpport": 0, "KestrelHttpsPort": 7000, "system.logging.LEVEL": "trace", "AllowedTools": []},
		"MQTTBROKERSETTINGS": {"ipaddress": "::1"},
		"Requests:PromptSeconds": 3600,
		"PluginMonitoring": {"MaxBackoffSeconds": null},
		"Logging": {"LogLevel": {"Default": "Information"}}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseApp(doc)
	if err != nil {
		t.Fatal(err)
	}
	if a.HTTPPort != 0 || a.HTTPSPort != 7000 || a.LogLevel != LevelTrace || a.MQTTAddress != netip.IPv6Loopback() ||
		a.Requests.Prompt != time.Hour || a.Monitoring.MaxBackoff != 30*time.Second {
		t.Errorf("got %+v", a)
	}
	if got := strings.Join(a.Unknown, " "); got != "Logging:LogLevel settings:AllowedTools" {
		t.Errorf("unknown keys: %q", got)
	}
}

func TestParseAppReadsTrust(t *testing.T) {
	doc, err := ParseDocument("appsettings.json", []byte(`{
		"Settings": {"AlternativeSignatures": ["A1B2C3D4E5F6789012345678901234567890ABCD", "a1:b2:c3 D4E5F6789012345678901234567890ABCD"]},
		"Trust": {"Plugins": {"linux": "Enforce"}, "PluginRank": "packaged", "Jobs": "warn", "Roots": ["Trust/ca.pem"]}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseApp(doc)
	if err != nil {
		t.Fatal(err)
	}
	const thumbprint = "a1b2c3d4e5f6789012345678901234567890abcd"
	want := Trust{
		Plugins:    map[core.Platform]Mode{"Linux": TrustEnforce, "Windows": TrustWarn, "macOS": TrustWarn},
		Jobs:       map[core.Platform]Mode{"Linux": TrustWarn, "Windows": TrustWarn, "macOS": TrustWarn},
		PluginRank: core.RankPackaged, JobRank: core.RankRecorded,
		Alternatives: []string{thumbprint, thumbprint}, Roots: []string{"Trust/ca.pem"},
	}
	if diff := cmp.Diff(want, a.Trust, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	root, elsewhere := t.TempDir(), t.TempDir()
	a.Trust.RevocationLists = []string{filepath.Join(elsewhere, "list.crl")}
	got := a.Trust.Sources(root)
	if got.Roots[0] != filepath.Join(root, "Trust", "ca.pem") || got.RevocationLists[0] != a.Trust.RevocationLists[0] || got.Thumbprints[0] != thumbprint {
		t.Errorf("sources %+v", got)
	}
}

func TestParseAppNamesEveryFault(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"port below range", `{"Settings": {"KestrelHttpPort": 80}}`, "Settings:KestrelHttpPort is 80, expected 0, 1024-65535"},
		{"port above range", `{"Settings": {"KestrelHttpsPort": 65536}}`, "Settings:KestrelHttpsPort is 65536, expected 0, 1024-65535"},
		{"port as text", `{"MqttBrokerSettings": {"Port": "8675"}}`, `MqttBrokerSettings:Port is "8675", expected 0, 1024-65535`},
		{"port with a fraction", `{"MqttBrokerSettings": {"Port": 8675.5}}`, "is 8675.5, expected 0, 1024-65535"},
		{"trust mode", `{"Trust": {"Plugins": "maybe"}}`, `Trust:Plugins is "maybe", expected off, warn, enforce, or one for each OS`},
		{"trust mode of an OS", `{"Trust": {"Jobs": {"Linux": "warn", "BeOS": "off"}}}`, "Trust:Jobs is"},
		{"rank", `{"Trust": {"PluginRank": "none"}}`, `Trust:PluginRank is "none", expected recorded, packaged, signed`},
		{"thumbprint", `{"Settings": {"AlternativeSignatures": ["A1B2"]}}`, `Settings:AlternativeSignatures is ["A1B2"]`},
		{"no thumbprint", `{"Settings": {"AlternativeSignatures": [""]}}`, `Settings:AlternativeSignatures is [""]`},
		{"no file", `{"Trust": {"Roots": [""]}}`, `Trust:Roots is [""], expected files`},
		{"flag as number", `{"Settings": {"RequireJobToken": 1}}`, "Settings:RequireJobToken is 1, expected true, false"},
		{"level unknown", `{"Settings": {"system.logging.level": "Verbose"}}`, `is "Verbose", expected Trace, Debug`},
		{"broker on the network", `{"MqttBrokerSettings": {"IpAddress": "0.0.0.0"}}`, `is "0.0.0.0", expected a loopback address`},
		{"broker by name", `{"MqttBrokerSettings": {"IpAddress": "localhost"}}`, "expected a loopback address"},
		{"plugins outside", `{"Settings": {"PluginPath": "../elsewhere"}}`, `Settings:PluginPath is "../elsewhere", expected relative path`},
		{"plugins absolute", `{"Settings": {"PluginPath": "/tmp"}}`, "expected relative path"},
		{"plugins everywhere", `{"Settings": {"PluginPath": "x/.."}}`, "expected relative path"},
		{"no attempts", `{"PluginMonitoring": {"BreakerLimit": 0}}`, "PluginMonitoring:BreakerLimit is 0, expected 1-100"},
		{"bad expression", `{"Journal": {"MaskArguments": ["("]}}`, "expected RE2 expressions (error parsing regexp: missing closing )"},
		{"expression as text", `{"Journal": {"MaskArguments": "x"}}`, `is "x", expected RE2 expressions`},
		{"endless value", `{"Journal": {"KeepSegments": "` + strings.Repeat("9", 500) + `"}}`, `99..., expected 2-100000`},
		{"the same key twice", `{"Settings": {"KestrelHttpPort": 7000, "kestrelHTTPport": 7001}}`, "Settings.kestrelHTTPport is given twice"},
		{"flat and nested", `{"Settings": {"KestrelHttpPort": 7000}, "Settings:KestrelHttpPort": 7001}`, "Settings:KestrelHttpPort is given twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc, err := ParseDocument("appsettings.json", []byte(tc.text))
			if err == nil {
				_, err = ParseApp(doc)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "appsettings.json:") {
				t.Errorf("got %v\nwant ... %s", err, tc.want)
			}
		})
	}
}

func TestParseAppReportsAllFaultsAtOnce(t *testing.T) {
	doc, err := ParseDocument("appsettings.json", []byte(`{"Requests": {"MaxOpen": 0, "LaunchSeconds": 61}}`))
	if err != nil {
		t.Fatal(err)
	}
	var faults fault.List
	if _, err := ParseApp(doc); !errors.As(err, &faults) || len(faults) != 2 {
		t.Errorf("got %v, want two faults", err)
	}
}

func TestParseAppNamesThePlace(t *testing.T) {
	doc, err := ParseDocument("appsettings.json", []byte("{\n  \"Requests\": {\n    \"MaxOpen\": 0\n  },\n  \"Nothing\": null\n}"))
	if err != nil {
		t.Fatal(err)
	}
	var faults fault.List
	if _, err := ParseApp(doc); !errors.As(err, &faults) || len(faults) != 1 || faults[0].Line != 3 || faults[0].Column != 16 {
		t.Errorf("got %v", err)
	}
}

func TestLoadApp(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file("target", "{}"), link); err != nil {
		t.Fatal(err)
	}
	t.Run("missing means default", func(t *testing.T) {
		a, err := LoadApp(filepath.Join(dir, "absent"), readAnything)
		if err != nil || a.HTTPPort != 6888 {
			t.Errorf("got %+v, %v", a, err)
		}
	})
	t.Run("a byte order mark is no fault", func(t *testing.T) {
		if a, err := LoadApp(file("bom", "\ufeff"+`{"Settings": {"KestrelHttpPort": 7000}}`), readAnything); err != nil || a.HTTPPort != 7000 {
			t.Errorf("got %+v, %v", a, err)
		}
	})
	for _, tc := range []struct{ name, path, want string }{
		{"empty", file("empty", ""), "the file is empty"},
		{"a missing comma", file("comma", "{\n \"Settings\": {}\n \"Requests\": {}\n}"), "comma:3: the file is not JSON"},
		{"a comma too many", file("many", "{\n \"Settings\": {},\n}"), `expected a JSON object; remove the comma before the "}", in line 2`},
		{"a list", file("list", "[1]"), "does not hold a JSON object"},
		{"two values", file("two", "{} {}"), "the file is not JSON"},
		{"not UTF-8", file("latin1", "{\"a\": \"\xe9\"}"), "not UTF-8"},
		{"too long", file("long", "{\"a\": \""+strings.Repeat("x", MaxAppSettings)+"\"}"), "longer than 1048576 bytes"},
		{"too deep", file("deep", strings.Repeat(`{"a":`, 40)+"1"+strings.Repeat("}", 40)), "nested too deeply"},
		{"a link", link, "not a regular file"},
		{"a directory", dir, "not a regular file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var refused *fault.Fault
			if _, err := LoadApp(tc.path, readAnything); !errors.As(err, &refused) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want ... %s", err, tc.want)
			}
		})
	}
	// Attack: a user who may write the file moves the service's ports and limits.
	t.Run("a file that others can change", func(t *testing.T) {
		_, err := LoadApp(file("shared", "{}"), func(string, int64) ([]byte, error) {
			return nil, fmt.Errorf("group 4242 can write to it; run chmod g-w on it: %w", core.ErrNotProtected)
		})
		var refused *fault.Fault
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "group 4242 can write to it; run chmod g-w on it") || !strings.Contains(err.Error(), "administrators alone") {
			t.Errorf("got %v, want the reason and the remedy", err)
		}
	})
}

func TestReadDocumentTellsAMissingFile(t *testing.T) {
	if _, err := ReadDocument(filepath.Join(t.TempDir(), "absent"), 10, readAnything); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}
