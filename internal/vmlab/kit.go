package vmlab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ErrNoKit says that machines cannot be had here.
var ErrNoKit = errors.New("no emulated machine")

// Kit is what machines are made of.
type Kit struct {
	qemu, kernel, busybox string
	modules               string // lib/modules/VERSION of the kernel
	accel                 string // kvm or tcg
	igb                   bool
}

// Accel names an environment variable that chooses how the guest's instructions are run: kvm, or tcg, which is slow and
// works everywhere. If it is not set, machines take KVM where that works.
const Accel = "SLUICE_LAB_ACCEL"

const (
	cpu = "max"
	// Interrupts in halves, because the IOMMU's remapping wants it under KVM; emulation takes no notice.
	board = "q35,kernel-irqchip=split"
)

// Find looks for what `make lab-deps` gets. The error wraps ErrNoKit and says what is missing.
func Find() (*Kit, error) {
	top, err := repository()
	if err != nil {
		return nil, err
	}
	lab := filepath.Join(top, "bin/lab")
	k := &Kit{kernel: filepath.Join(lab, "vmlinuz"), accel: os.Getenv(Accel)}
	if k.qemu, err = exec.LookPath("qemu-system-x86_64"); err != nil {
		return nil, missing("QEMU is not installed")
	}
	if k.busybox, err = exec.LookPath("busybox"); err != nil {
		return nil, missing("busybox is not installed")
	}
	versions, _ := filepath.Glob(filepath.Join(lab, "lib/modules/*")) // the pattern is well-formed
	if _, err := os.Stat(filepath.Join(lab, "ready")); err != nil || len(versions) != 1 {
		return nil, missing("there is no kernel in " + lab)
	}
	k.modules = versions[0]
	devices, err := exec.Command(k.qemu, "-device", "help").Output()
	if err != nil {
		return nil, missing(fmt.Sprintf("QEMU cannot list its devices: %v", err))
	}
	k.igb = strings.Contains(string(devices), `"igb"`)
	if k.accel == "" {
		k.accel = "tcg"
		if k.tryKVM() {
			k.accel = "kvm"
		}
	}
	return k, nil
}

// tryKVM boots the kernel without a root, so that it gives up and ends at once. A device file alone says little: inside a
// virtual machine KVM may refuse the processor, or let a guest hang.
func (k *Kit) tryKVM() bool {
	if _, err := os.Stat("/dev/kvm"); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, k.qemu, "-accel", "kvm", "-cpu", cpu, "-machine", board, "-m", "256", "-nodefaults", "-display", "none",
		"-no-reboot", "-kernel", k.kernel, "-append", "panic=-1").Run() == nil
}

// Accelerator is kvm, or tcg where the guest's instructions are emulated.
func (k *Kit) Accelerator() string { return k.accel }

// HasIGB says whether QEMU has the NIC igb, with SR-IOV.
func (k *Kit) HasIGB() bool { return k.igb }

func missing(what string) error {
	return fmt.Errorf("%w: %s: make lab-deps gets it, or says why not", ErrNoKit, what)
}

// repository is the folder with go.mod that the tests run in.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the repository: there is no go.mod above this folder")
		}
	}
}
