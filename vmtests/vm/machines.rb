# What the Vagrantfiles beside this file have in common. Each is one machine of one
# operating system; `make vmtest OS=FOLDER` starts it, holds the agent to the same
# suite on each, and removes it. By hand, in the folder of a machine: vagrant up.
#
# KPM_BOX is another box than the one named, KPM_VM_DRIVER=qemu is libvirt without
# acceleration.
def machine(config, box:, memory: 2048)
  config.vm.box = ENV.fetch("KPM_BOX", box)
  config.vm.synced_folder ".", "/vagrant", disabled: true
  # Without acceleration a machine takes minutes.
  config.vm.boot_timeout = 900
  config.vm.provider :libvirt do |vm|
    vm.cpus = 2
    vm.memory = memory
    vm.machine_type = "q35"
    vm.graphics_type = "none"
    vm.video_type = "none"
    vm.disk_bus = "virtio"
    vm.driver = ENV.fetch("KPM_VM_DRIVER", "kvm")
    if vm.driver == "qemu"
      vm.cpu_mode = "custom"
      vm.cpu_model = "qemu64"
      # A network of the machine and this one: it reaches nothing else.
      vm.management_network_name = "kpm"
      vm.management_network_address = "192.168.121.0/24"
      vm.management_network_mode = "none"
    end
  end
  %i[virtualbox vmware_desktop parallels hyperv].each do |name|
    config.vm.provider name do |vm|
      vm.cpus = 2
      name == :hyperv ? vm.maxmemory = memory : vm.memory = memory
    end
  end
end

# Windows answers WinRM, not SSH, and takes its time.
def windows(config, box:)
  machine(config, box: box, memory: 4096)
  config.vm.guest = :windows
  config.vm.communicator = "winrm"
  config.winrm.timeout = 1800
  config.winrm.retry_limit = 60
end
