package windows

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"kpm/core"
)

// machineOf are processes by pid.
type machineOf map[int]relative

func (m machineOf) look(pid int) (relative, error) {
	one, ok := m[pid]
	if !ok {
		return one, fmt.Errorf("open: %w", fs.ErrNotExist)
	}
	if one.program == "broken" {
		return one, errors.New("access denied")
	}
	return one, nil
}

func process(pid int, start uint64, parent int) relative {
	return relative{id: core.ProcessID{PID: pid, Start: start}, parent: parent, program: fmt.Sprintf(`C:\%d.exe`, pid)}
}

func TestClimb(t *testing.T) {
	asking := core.ProcessID{PID: 300, Start: 30}
	deep := machineOf{}
	for i := range 100 {
		deep[300+i] = process(300+i, 30, 301+i)
	}
	for name, c := range map[string]struct {
		there machineOf
		want  []int // pids
		err   error
	}{
		"up to the shell, whose parent has ended": {machineOf{300: process(300, 30, 200), 200: process(200, 20, 100), 100: process(100, 10, 50)}, []int{300, 200, 100}, nil},
		"up to the first of the machine":          {machineOf{300: process(300, 30, 200), 200: process(200, 20, 4), 4: process(4, 1, 0)}, []int{300, 200}, nil},
		"a parent that has ended":                 {machineOf{300: process(300, 30, 200)}, []int{300}, nil},
		"another process has the parent's pid":    {machineOf{300: process(300, 30, 200), 200: process(200, 31, 100), 100: process(100, 10, 4)}, []int{300}, nil},
		"made at the same moment":                 {machineOf{300: process(300, 30, 200), 200: process(200, 30, 4)}, []int{300, 200}, nil},
		"it has ended":                            {machineOf{}, nil, fs.ErrNotExist},
		"it is another one":                       {machineOf{300: process(300, 31, 200)}, nil, fs.ErrNotExist},
		"one that cannot be looked at":            {machineOf{300: process(300, 30, 200), 200: {program: "broken"}}, nil, errors.New("access denied")},
		"its own parent":                          {machineOf{300: process(300, 30, 300)}, slices.Repeat([]int{300}, maxAncestors), nil},
		"deep":                                    {deep, pids(300, maxAncestors), nil},
	} {
		list, err := climb(asking, c.there.look)
		var got []int
		for _, a := range list {
			got = append(got, a.ID.PID)
			if a.Program != fmt.Sprintf(`C:\%d.exe`, a.ID.PID) || a.Leader != (core.ProcessID{}) || a.Terminal != "" {
				t.Errorf("%s: %+v", name, a)
			}
		}
		if (err != nil) != (c.err != nil) || c.err == fs.ErrNotExist && !errors.Is(err, c.err) || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v; expected %v, %v", name, got, err, c.want, c.err)
		}
	}
}

func pids(from, n int) (list []int) {
	for i := range n {
		list = append(list, from+i)
	}
	return list
}

func TestInterpreters(t *testing.T) {
	for program, want := range map[string]bool{
		`C:\Program Files\nodejs\node.exe`: true, `C:\Python312\PYTHON3.12.exe`: true, `C:\Windows\py.exe`: true, `C:\x\bun.exe`: true,
		`C:\Windows\System32\cmd.exe`: false, `C:\node\x.exe`: false, "": false,
	} {
		if got := interprets(program); got != want {
			t.Errorf("%q: %t", program, got)
		}
	}
}
