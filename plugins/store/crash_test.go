package store

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// writerAt, in the environment, makes this program the writer.
const writerAt = "KPM_STORE_WRITER"

// write is the process that TestKilledBetweenAnyTwoWrites kills: it puts one
// number after the other and says which it was told are durable.
func write(at string) error {
	s, err := Open(at)
	if err != nil {
		return err
	}
	list, err := s.settings("A")
	if err != nil {
		return err
	}
	n := 0
	for _, v := range list {
		if v.Key == "left" {
			n, _ = strconv.Atoi(string(v.Text))
		}
	}
	for ; ; n++ {
		for _, key := range []string{"left", "right"} {
			if err := s.put(Value{Plugin: "A", Key: key, Text: []byte(strconv.Itoa(n + 1))}, ""); err != nil {
				return err
			}
		}
		fmt.Println(n + 1)
	}
}

// After kill -9 at any moment, what was acknowledged is there, and at most the
// next write more.
func TestKilledBetweenAnyTwoWrites(t *testing.T) {
	at := path(t)
	for round := range 25 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerAt+"="+at)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		said := 0
		for lines.Scan() {
			if n, err := strconv.Atoi(strings.TrimSpace(lines.Text())); err == nil {
				said = n
			}
			if said%(3+round) == 2+round {
				break
			}
		}
		time.Sleep(time.Duration(round) * 37 * time.Microsecond) // wherever that is
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			if n, err := strconv.Atoi(strings.TrimSpace(lines.Text())); err == nil {
				said = n
			}
		}
		_ = cmd.Wait() // killed
		s, err := Open(at)
		if err != nil {
			t.Fatal(err)
		}
		list, err := s.settings("A")
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, v := range list {
			got[v.Key], _ = strconv.Atoi(string(v.Text))
		}
		if l, r := got["left"], got["right"]; r < said || l < r || l > said+1 || l-r > 1 {
			t.Fatalf("round %d: %d was durable, the file has %v", round, said, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
