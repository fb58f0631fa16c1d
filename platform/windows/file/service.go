package file

// Service is the SID of the service, NT SERVICE\KeeperPrivilegeManager: 80 and SHA-1
// of the name in capitals, as five numbers of 32 bits (learn.microsoft.com,
// "SERVICE_SID_INFO"; [MS-DTYP], section 2.4.2.4). The service control manager alone
// gives it, to the process that it starts as the service.
const Service = "S-1-5-80-2097737753-2437378221-2794681237-2806339545-1376851635"
