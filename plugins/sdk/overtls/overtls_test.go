package overtls_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kpm/plugins/sdk"
	"kpm/plugins/sdk/overtls"
)

// agent plays the API; the broker is at the same address.
func agent(t *testing.T) (base, caFile string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, port, err := net.SplitHostPort(server.Listener.Addr().String())
		if err != nil || r.URL.Path != "/api/PluginSettings/KeeperPrivilegeManager" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		io.WriteString(w, `{"broker.host": "`+host+`", "broker.port": "`+port+`"}`)
	})
	server.StartTLS()
	t.Cleanup(server.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(caFile, block, 0o644); err != nil {
		t.Fatal(err)
	}
	return server.URL, caFile
}

func TestDialsWhatTheSettingsSay(t *testing.T) {
	base, caFile := agent(t)
	t.Setenv("KEEPER_API_BASE_URL", base)
	t.Setenv("KEEPER_CA_FILE", caFile)
	n, err := overtls.FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := n.DialBroker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if want := "https://" + conn.RemoteAddr().String(); base != want {
		t.Errorf("connected to %s, want %s", want, base)
	}
	if _, err := sdk.Settings(t.Context(), n, "Nobody"); !errors.Is(err, sdk.ErrSettings) {
		t.Errorf("unknown plugin: %v", err)
	}
}

// Attack: another user binds the port while the agent is down.
func TestAnotherCertificateIsRefused(t *testing.T) {
	_, caFile := agent(t)
	squatter := httptest.NewUnstartedServer(nil)
	squatter.StartTLS() // with the same test certificate
	defer squatter.Close()
	other := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(other, newCA(t), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KEEPER_API_BASE_URL", squatter.URL)
	t.Setenv("KEEPER_CA_FILE", other)
	n, err := overtls.FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := n.DialAPI(t.Context()); err == nil {
		conn.Close()
		t.Error("the squatter was believed")
	}
	// The control case: with its own CA the same server is believed.
	t.Setenv("KEEPER_CA_FILE", caFile)
	if n, err = overtls.FromEnvironment(); err != nil {
		t.Fatal(err)
	}
	conn, err := n.DialAPI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// The agent renews its certificate while a plugin runs, and starts anew.
func TestTheFileIsReadForEachConnection(t *testing.T) {
	base, caFile := agent(t)
	right, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KEEPER_API_BASE_URL", base)
	t.Setenv("KEEPER_CA_FILE", caFile)
	n, err := overtls.FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		file []byte
		want bool
	}{{right, true}, {newCA(t), false}, {nil, false}, {right, true}} {
		if err := os.WriteFile(caFile, step.file, 0o644); err != nil {
			t.Fatal(err)
		}
		conn, err := n.DialAPI(t.Context())
		if err == nil {
			conn.Close()
		}
		if got := err == nil; got != step.want {
			t.Errorf("with a file of %d bytes: connected %v, want %v (%v)", len(step.file), got, step.want, err)
		}
	}
}

// newCA returns a certificate authority that has signed nothing.
func newCA(t *testing.T) []byte {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestTheEnvironmentMustBeWhole(t *testing.T) {
	_, caFile := agent(t)
	for _, tc := range []struct{ base, file string }{
		{"", caFile}, {"https://127.0.0.1:6889", ""}, {"http://127.0.0.1:6889", caFile}, {"https://127.0.0.1", caFile},
		{"https://127.0.0.1:6889", "/nowhere"}, {"https://127.0.0.1:6889", "/dev/null"}, {"://", caFile},
	} {
		t.Setenv("KEEPER_API_BASE_URL", tc.base)
		t.Setenv("KEEPER_CA_FILE", tc.file)
		if _, err := overtls.FromEnvironment(); err == nil {
			t.Errorf("%q and %q were taken", tc.base, tc.file)
		}
	}
}
