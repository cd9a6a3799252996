package linux

// ioctl(2) commands of block devices, <linux/fs.h>, <linux/blkzoned.h>.
const (
	BLKROSET         = 0x125d
	BLKROGET         = 0x125e
	BLKRRPART        = 0x125f
	BLKGETSIZE       = 0x1260
	BLKFLSBUF        = 0x1261
	BLKRASET         = 0x1262
	BLKRAGET         = 0x1263
	BLKFRASET        = 0x1264
	BLKFRAGET        = 0x1265
	BLKSECTGET       = 0x1267
	BLKSSZGET        = 0x1268
	BLKPG            = 0x1269
	BLKBSZGET        = 0x80081270
	BLKBSZSET        = 0x40081271
	BLKGETSIZE64     = 0x80081272
	BLKDISCARD       = 0x1277
	BLKIOMIN         = 0x1278
	BLKIOOPT         = 0x1279
	BLKALIGNOFF      = 0x127a
	BLKPBSZGET       = 0x127b
	BLKDISCARDZEROES = 0x127c
	BLKSECDISCARD    = 0x127d
	BLKROTATIONAL    = 0x127e
	BLKZEROOUT       = 0x127f
	BLKGETDISKSEQ    = 0x80081280
	BLKGETZONESZ     = 0x80041284
	BLKGETNRZONES    = 0x80041285
	HDIO_GETGEO      = 0x0301
)

// SectorSize is the unit in which block devices are counted, whatever their blocks are.
const (
	SectorSize  = 512
	SectorShift = 9
)
