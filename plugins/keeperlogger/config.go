package keeperlogger

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// config is what the plugin's settings ask for (docs/settings.md, "Settings of
// plugins").
type config struct {
	path    string
	sizeMB  int
	days    int
	totalMB int
	json    bool   // lines of JSON
	system  string // off or auto
	levels  levels
	http    httpConfig
}

// httpConfig is where records go besides; nowhere without an address.
type httpConfig struct {
	url           string
	authorization string
	caFile        string
	batch         int // records
}

// configure reads the plugin's settings; what is missing or out of range is the
// default, and what is out of range is said.
func configure(root string, values map[string]string) (config, []error) {
	c := config{
		path:   filepath.Join(root, "Plugins", "bin", "KeeperLogger", "Log", "KeeperLogger.log"),
		sizeMB: 10, days: 15, totalMB: 200, system: "off", http: httpConfig{batch: 100},
	}
	var faults []error
	fault := func(key, expected string) {
		faults = append(faults, fmt.Errorf("%s: found %q, expected %s", key, values[key], expected))
	}
	if path := values["log.file.path"]; path != "" {
		if filepath.IsAbs(path) && !strings.ContainsAny(path, "{}\x00") {
			c.path = filepath.Clean(path)
		} else {
			fault("log.file.path", "an absolute path")
		}
	}
	for _, n := range []struct {
		key      string
		into     *int
		from, to int
	}{
		{"log.rotation.size_mb", &c.sizeMB, 1, 1024}, {"log.retention.days", &c.days, 1, 3650},
		{"logRetentionDays", &c.days, 1, 3650}, // of the published documents; the other has a default and is always there
		{"log.retention.total_mb", &c.totalMB, 2, 1 << 20}, {"log.http.batch", &c.http.batch, 1, 1000},
	} {
		text, given := values[n.key]
		if !given {
			continue
		}
		number, err := strconv.Atoi(text)
		if err != nil || number < n.from || number > n.to {
			fault(n.key, fmt.Sprintf("%d to %d", n.from, n.to))
			continue
		}
		*n.into = number
	}
	switch values["log.format"] {
	case "", "text":
	case "json":
		c.json = true
	default:
		fault("log.format", "text or json")
	}
	switch values["log.system"] {
	case "", "off":
	case "auto":
		c.system = "auto"
	default:
		fault("log.system", "off or auto")
	}
	if c.totalMB < 2*c.sizeMB {
		faults = append(faults, fmt.Errorf("log.retention.total_mb: found %d, expected at least twice log.rotation.size_mb, %d", c.totalMB, 2*c.sizeMB))
		c.totalMB = 2 * c.sizeMB
	}
	var wrong []error
	c.levels, wrong = readLevels(values)
	faults = append(faults, wrong...)
	if values["log.http.url"] != "" {
		if err := checkAddress(values["log.http.url"]); err != nil {
			faults = append(faults, err)
		} else {
			c.http.url, c.http.authorization, c.http.caFile = values["log.http.url"], values["log.http.authorization"], values["log.http.ca_file"]
		}
	}
	return c, faults
}

// checkAddress takes https, and http to this machine only. Attack: records are
// read, or the authorization is, on the way to somewhere else.
func checkAddress(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("log.http.url: found %q, expected https://HOST/PATH", text)
	case u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		return fmt.Errorf("log.http.url: found %q, expected https: http leads to this machine only", text)
	}
	return nil
}

// roots reads the CAs that sign the receiver's certificate; nil is the system's.
func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("log.http.ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("log.http.ca_file: %s: %w", file, errors.New("no PEM block of type CERTIFICATE"))
	}
	return pool, nil
}
