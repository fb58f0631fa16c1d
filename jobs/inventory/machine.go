package inventory

import (
	"context"
	"strings"

	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/host"
)

// machine is what an agent reports of the machine that it is on.
type machine struct {
	Name            string `json:"name"`
	ID              string `json:"id,omitempty"`
	OS              string `json:"os"`                        // linux, windows, darwin
	Platform        string `json:"platform"`                  // debian
	PlatformVersion string `json:"platformVersion,omitempty"` // 12.5
	Kernel          string `json:"kernel,omitempty"`
	Architecture    string `json:"architecture,omitempty"`
	Virtualization  string `json:"virtualization,omitempty"`
	BootTime        uint64 `json:"bootTime,omitempty"` // seconds since 1970
}

func thisMachine(ctx context.Context) (machine, error) {
	info, err := host.InfoWithContext(ctx)
	if err != nil {
		return machine{}, err
	}
	virtual := ""
	if info.VirtualizationRole == "guest" {
		virtual = info.VirtualizationSystem
	}
	return machine{
		Name: info.Hostname, ID: info.HostID, OS: info.OS, Platform: info.Platform, PlatformVersion: info.PlatformVersion,
		Kernel: info.KernelVersion, Architecture: info.KernelArch, Virtualization: virtual, BootTime: info.BootTime,
	}, nil
}

// remoteKinds are file systems whose files are not this machine's, or none at all.
var remoteKinds = []string{"nfs", "cifs", "smb", "afs", "ceph", "gluster", "lustre", "9p", "fuse", "sshfs", "autofs", "webdav",
	"proc", "sysfs", "cgroup", "devtmpfs", "devpts", "tracefs", "debugfs", "securityfs", "bpf", "mqueue"}

// remoteFolders are where such file systems are mounted. Attack: a file server that does
// not answer keeps the inventory waiting for ever, or has it read without end.
func remoteFolders(ctx context.Context) (map[string]bool, error) {
	mounted, err := disk.PartitionsWithContext(ctx, true)
	if err != nil {
		return nil, err
	}
	folders := map[string]bool{}
	for _, m := range mounted {
		for _, kind := range remoteKinds {
			if strings.HasPrefix(strings.ToLower(m.Fstype), kind) {
				folders[m.Mountpoint] = true
			}
		}
	}
	return folders, nil
}
