package vmlab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// rootModules are what the initrd needs to reach the root: the transport, the file system and the overlay.
var rootModules = []string{"virtio_pci", "9pnet_virtio", "9p", "overlay"}

// init is the first process. It makes the root, and leaves it to boot.
const initScript = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for m in $(cat /modules/order); do insmod /modules/$m; done
share=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o $share,ro,cache=loose root /lower
mount -t tmpfs -o mode=755 upper /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /newroot
mkdir -p /newroot/lab
mount -t 9p -o $share,rw,cache=none lab /newroot/lab
umount /proc
umount -l /dev
exec switch_root /newroot /bin/bash /lab/boot
`

// bootScript runs in the new root. MODULES stands for the folder of the kernel's modules.
const bootScript = `export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /dev/hugepages /lib/modules
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t hugetlbfs huge /dev/hugepages
mount -t tmpfs -o mode=755 run /run
mount --bind MODULES /lib/modules
ip link set lo up
cd /lab
bash ./script >output 2>&1 </dev/null
echo $? >result.part
mv result.part result
sync
echo o >/proc/sysrq-trigger
sleep 60
`

// buildInitrd writes an archive of busybox, the first process and modules, in the order in which they are loaded.
func (k *Kit) buildInitrd(file string) error {
	order, err := loadOrder(k.modules, rootModules)
	if err != nil {
		return fmt.Errorf("build initrd: %w", err)
	}
	out := &archive{}
	for _, dir := range []string{"bin", "dev", "lower", "modules", "newroot", "proc", "upper"} {
		out.add(dir, modeDir|0o755, nil)
	}
	busybox, err := os.ReadFile(k.busybox)
	if err != nil {
		return fmt.Errorf("build initrd: %w", err)
	}
	out.add("bin/busybox", modeFile|0o755, busybox)
	out.add("init", modeFile|0o755, []byte(initScript))
	var names []string
	for _, module := range order {
		code, err := os.ReadFile(filepath.Join(k.modules, module))
		if err != nil {
			return fmt.Errorf("build initrd: %w", err)
		}
		names = append(names, filepath.Base(module))
		out.add("modules/"+filepath.Base(module), modeFile|0o644, code)
	}
	out.add("modules/order", modeFile|0o644, []byte(strings.Join(names, "\n")+"\n"))
	out.add("TRAILER!!!", 0, nil)
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("build initrd: %w", err)
	}
	return nil
}

// loadOrder finds the files of modules by modules.dep, those that others need first. What is built in needs no file.
func loadOrder(dir string, names []string) (order []string, err error) {
	deps, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	builtIn, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		file := "/" + name + ".ko"
		at := slices.IndexFunc(strings.Split(string(deps), "\n"), func(line string) bool {
			module, _, _ := strings.Cut(line, ":")
			return strings.HasSuffix(module, file)
		})
		if at < 0 {
			if strings.Contains(string(builtIn), file+"\n") {
				continue
			}
			return nil, fmt.Errorf("the kernel has no module %s", name)
		}
		module, needs, _ := strings.Cut(strings.Split(string(deps), "\n")[at], ":")
		all := append([]string{module}, strings.Fields(needs)...) // the last one is needed first
		slices.Reverse(all)
		for _, m := range all {
			if !slices.Contains(order, m) {
				order = append(order, m)
			}
		}
	}
	return order, nil
}

const (
	modeDir  = 0o040000
	modeFile = 0o100000
)

// archive is a cpio archive in the format newc, as the kernel's Documentation/driver-api/early-userspace/buffer-format
// has it.
type archive struct {
	bytes.Buffer
	inode int
}

func (a *archive) add(name string, mode int, data []byte) {
	a.inode++
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	a.WriteString(name + "\x00")
	a.pad()
	a.Write(data)
	a.pad()
}

func (a *archive) pad() {
	for a.Len()%4 != 0 {
		a.WriteByte(0)
	}
}
