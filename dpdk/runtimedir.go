package dpdk

// #include <rte_eal.h>
import "C"

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"golang.org/x/sys/unix"
)

// DPDK makes a folder by its file prefix at every start and leaves it behind. Nothing is in it the way Init starts DPDK.
// Only empty folders are removed, so that nothing of anybody else's can be lost.

func runtimeDir() string { return C.GoString(C.rte_eal_get_runtime_dir()) }

// pidSuffix is how programs that run more than once make their file prefix unique.
var pidSuffix = regexp.MustCompile(`^(.*-)(\d+)$`)

// removeStaleDirs removes the folders beside dir that killed processes of the same program left: those that differ from
// it only in the process id at the end, of a process that is no more.
func removeStaleDirs(dir string) {
	own := pidSuffix.FindStringSubmatch(filepath.Base(dir))
	if own == nil || own[2] != strconv.Itoa(os.Getpid()) {
		return
	}
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		return
	}
	for _, e := range entries {
		m := pidSuffix.FindStringSubmatch(e.Name())
		if m == nil || m[1] != own[1] || !e.IsDir() {
			continue
		}
		pid, err := strconv.Atoi(m[2])
		if err == nil && pid > 0 && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			_ = unix.Rmdir(filepath.Join(filepath.Dir(dir), e.Name()))
		}
	}
}
