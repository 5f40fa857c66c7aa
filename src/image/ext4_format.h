/* image/ext4_format.h: offsets and values of ext4 on disk, shared by its writer and its
 * reader. Reference: Documentation/filesystems/ext4/ of Linux: super.rst, group_descr.rst,
 * inodes.rst, ifork.rst, directory.rst. All numbers are little-endian. */
#ifndef IMAGE_EXT4_FORMAT_H
#define IMAGE_EXT4_FORMAT_H

#define EXT4_MAGIC   0xef53u
#define SUPER_OFFSET 1024u
#define SUPER_SIZE   1024u

/* Superblock: offsets. */
#define SUPER_INODES         0u
#define SUPER_BLOCKS         4u
#define SUPER_RESERVED       8u
#define SUPER_FREE_BLOCKS    12u
#define SUPER_FREE_INODES    16u
#define SUPER_FIRST_BLOCK    20u
#define SUPER_LOG_BLOCK      24u
#define SUPER_LOG_CLUSTER    28u
#define SUPER_GROUP_BLOCKS   32u
#define SUPER_GROUP_CLUSTERS 36u
#define SUPER_GROUP_INODES   40u
#define SUPER_WRITTEN        48u
#define SUPER_MAX_MOUNTS     54u
#define SUPER_MAGIC          56u
#define SUPER_STATE          58u
#define SUPER_ERRORS         60u
#define SUPER_CHECKED        64u
#define SUPER_REVISION       76u
#define SUPER_FIRST_INODE    84u
#define SUPER_INODE_BYTES    88u
#define SUPER_GROUP          90u
#define SUPER_COMPAT         92u
#define SUPER_INCOMPAT       96u
#define SUPER_RO_COMPAT      100u
#define SUPER_UUID           104u
#define SUPER_LABEL          120u
#define SUPER_JOURNAL_INODE  224u
#define SUPER_HASH_SEED      236u
#define SUPER_HASH           252u
#define SUPER_GROUP_BYTES    254u
#define SUPER_MOUNT_OPTIONS  256u
#define SUPER_FIRST_META     260u
#define SUPER_CREATED        264u
#define SUPER_BLOCKS_HIGH    336u
#define SUPER_MIN_EXTRA      348u
#define SUPER_WANT_EXTRA     350u
#define SUPER_FLAGS          352u

#define COMPAT_JOURNAL    0x4u
#define COMPAT_XATTR      0x8u
#define COMPAT_HASHED     0x20u
#define INCOMPAT_FILETYPE 0x2u
#define INCOMPAT_RECOVER  0x4u /* the journal is to be replayed */
#define INCOMPAT_META     0x10u
#define INCOMPAT_EXTENTS  0x40u
#define INCOMPAT_64BIT    0x80u
#define INCOMPAT_FLEX     0x200u
#define INCOMPAT_SEED     0x2000u
#define INCOMPAT_LARGEDIR 0x4000u
#define RO_COMPAT_SPARSE  0x1u
#define RO_COMPAT_LARGE   0x2u
#define RO_COMPAT_NLINK   0x20u
#define RO_COMPAT_EXTRA   0x40u
#define MOUNT_XATTR       0x4u
#define MOUNT_ACL         0x8u
#define FLAG_SIGNED_HASH  0x1u

/* Group descriptor. */
#define GROUP_BYTES            32u
#define GROUP_BLOCK_BITMAP     0u
#define GROUP_INODE_BITMAP     4u
#define GROUP_INODE_TABLE      8u
#define GROUP_FREE_BLOCKS      12u
#define GROUP_FREE_INODES      14u
#define GROUP_FOLDERS          16u
#define GROUP_INODE_TABLE_HIGH 40u

/* Inode. */
#define INODE_ROOT         2u
#define INODE_JOURNAL      8u
#define INODE_FIRST        11u
#define INODE_MODE         0u
#define INODE_UID          2u
#define INODE_SIZE         4u
#define INODE_ATIME        8u
#define INODE_CTIME        12u
#define INODE_MTIME        16u
#define INODE_GID          24u
#define INODE_LINKS        26u
#define INODE_SECTORS      28u
#define INODE_FLAGS        32u
#define INODE_BLOCK        40u
#define INODE_SIZE_HIGH    108u
#define INODE_UID_HIGH     120u
#define INODE_GID_HIGH     122u
#define INODE_EXTRA        128u
#define INODE_CTIME_EXTRA  132u
#define INODE_MTIME_EXTRA  136u
#define INODE_ATIME_EXTRA  140u
#define INODE_CRTIME       144u
#define INODE_CRTIME_EXTRA 148u
#define INODE_EXTRA_BYTES  32u
#define INODE_EXTENTS      0x80000u
#define INODE_INLINE       0x10000000u
#define LINKS_MANY         65000u

#define EXTENT_MAGIC 0xf30au

/* Folder entry. */
#define DIRENT_INODE      0u
#define DIRENT_LENGTH     4u
#define DIRENT_NAME_BYTES 6u
#define DIRENT_TYPE       7u
#define DIRENT_NAME       8u

#define JOURNAL_MAGIC 0xc03b3998u

#endif
