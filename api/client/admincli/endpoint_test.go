package admincli

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/trust"
	"kpm/trust/trusttest"
)

func TestWhereAURLLeads(t *testing.T) {
	for _, c := range []struct{ url, host string }{
		{"https://localhost:6889", "localhost:6889"},
		{"https://localhost:6889/", "localhost:6889"},
		{"HTTPS://localhost:6889", "localhost:6889"},
		{"https://127.0.0.1:6889", "127.0.0.1:6889"},
		{"https://127.8.9.1:6889", "127.8.9.1:6889"},
		{"https://[::1]:6889", "[::1]:6889"},
		{"https://[::1]:6889//", "[::1]:6889"},
		// Attack: the request, with what an administrator asks, goes elsewhere.
		{"https://[::2]:6889", ""},
		{"https://0.0.0.0:6889", ""},
		{"https://[::ffff:10.0.0.1]:6889", ""},
		{"https://localhost.example:6889", ""},
		{"https://127.0.0.1.example:6889", ""},
		{"https://127.1:6889", ""},
		{"https://2130706433:6889", ""},
		// What would not be asked as it reads.
		{"https://localhost", ""},
		{"https://localhost:", ""},
		{"https://localhost:6889?all", ""},
		{"https://localhost:6889#top", ""},
		{"https://localhost:6889/?", "localhost:6889"},
		{"localhost:6889", ""},
		{"//localhost:6889", ""},
		{"wss://localhost:6889", ""},
		{"https:///x", ""},
	} {
		host, err := (&endpoint{url: c.url}).host()
		if host != c.host || (err == nil) != (c.host != "") {
			t.Errorf("%s: %q, %v, want %q", c.url, host, err, c.host)
		}
		if err != nil && err.Error() != "--url is "+c.url+", expected https, a loopback host and a port, such as https://localhost:6889" {
			t.Errorf("%s: %v", c.url, err)
		}
	}
	if _, err := (&endpoint{url: "https://localhost:port"}).host(); err == nil || !strings.HasPrefix(err.Error(), "--url: parse ") {
		t.Errorf("no number: %v", err)
	}
	if host, err := (&endpoint{port: 6889}).host(); host != "localhost:6889" || err != nil {
		t.Errorf("by port: %q, %v", host, err)
	}
}

// A certificate is no use at the local socket, and whoever gives one expects it
// to be shown.
func TestAClientCertificateThatCannotBeShown(t *testing.T) {
	r := newRunning(t)
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ line, says string }{
		"without HTTPS":   {"--client-cert " + junk + " --client-key " + junk, "--client-cert is for HTTPS: name its port with --port or --url"},
		"no such file":    {"--port " + r.port + " --client-cert " + dir + "/none --client-key " + junk, "--client-cert: open " + dir + "/none: no such file or directory"},
		"no certificate":  {"--port " + r.port + " --client-cert " + junk + " --client-key " + junk, "--client-cert: tls: failed to find any PEM data in certificate input"},
		"without its key": {"--port " + r.port + " --client-cert " + junk, "if any flags in the group [client-cert client-key] are set they must all be set; missing [client-key]"},
	} {
		code, out, diag := r.do(t, append([]string{"status"}, strings.Fields(c.line)...)...)
		if code != exitUsage || out != "" || diag != "KeeperAdminCLI: "+c.says+"\n" {
			t.Errorf("%s: %d %q %q", name, code, out, diag)
		}
	}
}

// What the running service trusts lies in the root; without it nobody at the
// port is the service, and nothing is sent there.
func TestHTTPSNeedsTheServicesCertificate(t *testing.T) {
	r := newRunning(t)
	ca := filepath.Join(r.root, "run", "ca.pem")
	for _, c := range []struct {
		name  string
		spoil func() error
		code  int
		says  string
	}{
		{"no certificate in it", func() error { return os.WriteFile(ca, []byte("-----BEGIN\n"), 0o644) },
			exitUsage, "KeeperAdminCLI: " + ca + ": holds no certificate\n"},
		{"a service that never ran", func() error { return os.Remove(ca) },
			exitFault, "not running: the service does not answer at " + r.root + ": open " + ca + ": no such file or directory. Start it (on Linux: systemctl start keeper-privilege-manager), or name the agent that runs with --root\n"},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		code, out, diag := r.do(t, "status", "--port", r.port)
		if code != c.code || out+diag != c.says {
			t.Errorf("%s: %d %q %q", c.name, code, out, diag)
		}
		if code, out, _ := r.do(t, "jobs", "run", "--id", "cleanup", "--port", r.port); code != exitUsage || out != "" || r.ran != nil {
			t.Errorf("%s: %d %q, ran %v", c.name, code, out, r.ran)
		}
	}
}

// Every command that asks the service says that there is none, and where it
// looked. Only to status that is an answer.
func TestNoService(t *testing.T) {
	root := t.TempDir()
	const where = "the service does not answer: connect %s/run/api.sock: no such file or directory. Start it (on Linux: systemctl start keeper-privilege-manager), or name the agent that runs with --root\n"
	says := strings.Replace(where, "%s", root, 1)
	for _, line := range []string{"plugins list", "plugins list --json", "jobs list", "jobs run --id x", "jobs trigger --id x",
		"settings get KeeperPolicy", "settings get KeeperPolicy key", "settings get KeeperPolicy key --json"} {
		code, out, diag := do(t, append(strings.Fields(line), "--root", root)...)
		if code != exitUsage || out != "" || diag != "KeeperAdminCLI: "+says {
			t.Errorf("%s: %d %q %q", line, code, out, diag)
		}
	}
	if code, out, diag := do(t, "status", "--root", root); code != exitFault || out != "not running: "+says || diag != "" {
		t.Errorf("status: %d %q %q", code, out, diag)
	}
	code, out, _ := do(t, "status", "--json", "--root", root)
	if code != exitFault || out != `{"status":"not running","detail":"`+strings.TrimSpace(says)+`","healthy":false,"plugins":0,"jobs":{"total":0,"enabled":0}}`+"\n" {
		t.Errorf("status --json: %d %q", code, out)
	}
}

// A service may want a certificate of its administrators. It is shown on HTTPS,
// and without it they are told what to give.
func TestAClientCertificateIsShown(t *testing.T) {
	issue := func(name string, template x509.Certificate, issuer *trusttest.Entity) *trusttest.Entity {
		t.Helper()
		key, _ := newMachineKey(t)
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		template.Subject.CommonName = name
		entity, err := trusttest.Issue(name, template, key, issuer)
		if err != nil {
			t.Fatal(err)
		}
		return entity
	}
	ca := issue("Administrators", x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	client := x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	good, foreign := issue("deployment", client, ca).Files(t), issue("deployment", client, nil).Files(t)
	clients, err := trust.LoadClientAuthority(good.Root, os.Open)
	if err != nil {
		t.Fatal(err)
	}
	r := newRunning(t, func(r *running) { r.administrators.Clients = clients })
	for _, c := range []struct {
		name, line string
		code       int
		says       string
	}{
		{"shown", "--port " + r.port + " --client-cert " + good.Cert + " --client-key " + good.Key, exitOK, "KeeperPolicy  Healthy"},
		{"shown by URL", "--url https://localhost:" + r.port + " --client-cert " + good.Chain + " --client-key " + good.Key, exitOK, "KeeperPolicy  Healthy"},
		{"none", "--port " + r.port, exitUsage, "; give --port, --client-cert and --client-key\n"},
		{"the local socket", "", exitUsage, "; give --port, --client-cert and --client-key\n"},
		{"another CA's", "--port " + r.port + " --client-cert " + foreign.Cert + " --client-key " + foreign.Key, exitUsage, "; give --port, --client-cert and --client-key\n"},
		{"another's key", "--port " + r.port + " --client-cert " + good.Cert + " --client-key " + foreign.Key, exitUsage, "private key does not match public key"},
	} {
		code, out, diag := r.do(t, append([]string{"plugins", "list"}, strings.Fields(c.line)...)...)
		if code != c.code || !strings.Contains(out+diag, c.says) || (out == "") != (code != exitOK) {
			t.Errorf("%s: %d %q %q", c.name, code, out, diag)
		}
	}
}
