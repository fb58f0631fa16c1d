//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"kpm/vmtests/agent"
)

// javaPath is Debian's MQTT client for Java, with what it needs.
const javaPath = "/usr/share/java/mqtt-client.jar:/usr/share/java/hawtbuf.jar:/usr/share/java/hawtdispatch.jar:/usr/share/java/hawtdispatch-transport.jar"

// TestAPluginInJava does all that a scaffold does, with a client of its own kind.
func TestAPluginInJava(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) { lay(t, a, "Prober", proberFile, prober) })
	dir := t.TempDir()
	cmd := exec.Command(filepath.Join(a.Root, "KeeperAdminCLI"), "plugins", "new", "Bridge", "--lang", "shell") // for its file
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir = filepath.Join(dir, "Bridge")
	source, err := filepath.Abs("testdata/java/Bridge.java")
	if err != nil {
		t.Fatal(err)
	}
	shellIn(t, dir, "javac -cp "+javaPath+" -d . "+source)
	program := "#!/bin/sh\nexec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp " + javaPath + ":\"$(dirname \"$0\")\" Bridge\n"
	if err := os.WriteFile(filepath.Join(dir, "Bridge"), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	mustCLI(t, a, "plugins", "install", dir)
	(&trial{t: t, Agent: a}).behaves("Bridge", true)
}
