package reserve

import (
	"os"
	"runtime"
	"testing"
)

func TestThreadsStay(t *testing.T) {
	const most = 24
	Threads(most)
	runtime.GC()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	if len(tasks) < most {
		t.Errorf("the process has %d threads, expected at least %d", len(tasks), most)
	}
}
